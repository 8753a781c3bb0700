// Compiles one source file, and prints the creation and the runtime code of its contract.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const file = process.argv[2];
const contract = path.basename(file, ".sol");
const input = {
  language: "Solidity",
  sources: { [file]: { content: fs.readFileSync(file, "utf8") } },
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors || []).filter((error) => error.severity === "error");
if (errors.length) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
const { evm } = output.contracts[file][contract];
console.log(JSON.stringify({
  compiler: solc.version(),
  bytecode: "0x" + evm.bytecode.object,
  runtime: "0x" + evm.deployedBytecode.object,
}, null, 2));
