// Compiles contracts/*.sol with the pinned solc and writes contracts.json: {Name: {abi, bytecode}}.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import solc from "solc";

const sources = Object.fromEntries(
  readdirSync("contracts").map((file) => [file, { content: readFileSync(`contracts/${file}`, "utf8") }]),
);
const input = {
  language: "Solidity",
  sources,
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "cancun",
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
};
const findImport = (path) => ({ contents: readFileSync(`node_modules/${path}`, "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));

const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
if (errors.length > 0) {
  console.error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"));
  process.exit(1);
}
const contracts = Object.keys(sources).flatMap((file) =>
  Object.entries(output.contracts[file]).map(([name, { abi, evm }]) => [name, { abi, bytecode: `0x${evm.bytecode.object}` }]),
);
writeFileSync("contracts.json", JSON.stringify(Object.fromEntries(contracts)));
