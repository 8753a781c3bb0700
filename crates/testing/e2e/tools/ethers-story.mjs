// What a developer does with unmodified ethers: deploy an ERC-20, transfer, read, query logs, meet a custom error.
// Prints what it saw as JSON; the test decides whether that is right.
// Usage: SYNOD_RPC_URL=… node ethers-story.mjs OWNER_KEY
import { readFileSync } from "node:fs";
import { ContractFactory, HDNodeWallet, JsonRpcProvider, Wallet, parseEther } from "ethers";

const { Token } = JSON.parse(readFileSync("contracts.json", "utf8"));
// Transactions are final when they are answered: neither the 250 ms request cache nor slow polling helps here.
const provider = new JsonRpcProvider(process.env.SYNOD_RPC_URL, undefined, { cacheTimeout: -1, pollingInterval: 100 });
const owner = new Wallet(process.argv[2], provider);
const friend = HDNodeWallet.createRandom().connect(provider);
const saw = {};

saw.chainId = Number((await provider.getNetwork()).chainId);
saw.ownerFunds = (await provider.getBalance(owner.address)) > 0n;

const token = await new ContractFactory(Token.abi, Token.bytecode, owner).deploy();
await token.waitForDeployment();
saw.code = (await provider.getCode(token.target)).length > 2;
saw.name = await token.name();

// Listening goes by eth_newFilter and eth_getFilterChanges; what happens before the filter is there is not heard.
const heard = [];
const installed = new Promise((resolve) => {
  const send = provider.send.bind(provider);
  provider.send = async (method, params) => {
    const result = await send(method, params);
    if (method === "eth_newFilter") resolve();
    return result;
  };
});
const all = new Promise((resolve) => token.on("Transfer", (from, to, value) => heard.push(value.toString()) === 2 && resolve()));
await installed;

const receipt = await (await token.transfer(friend.address, parseEther("7"))).wait();
saw.transferStatus = receipt.status;
saw.transferLogs = receipt.logs.length;
saw.transferIndex = (await provider.getTransaction(receipt.hash)).index;
saw.friendHolds = (await token.balanceOf(friend.address)).toString();

const transfers = await token.queryFilter(token.filters.Transfer(owner.address), 0, "latest");
saw.transfersOfOwner = transfers.map(({ args }) => [args.to === friend.address, args.value.toString()]);

// A call that reverts, an estimate that reverts, and a transaction that is sent all the same and fails.
const tooMuch = parseEther("8");
const ofFriend = token.connect(friend);
const refusal = await ofFriend.transfer.staticCall(owner.address, tooMuch).catch((error) => error);
saw.callRevert = [refusal.code, refusal.revert?.name, refusal.revert?.args?.map(String)?.slice(1)];
const estimate = await ofFriend.transfer.estimateGas(owner.address, tooMuch).catch((error) => error);
saw.estimateRevert = [estimate.code, ofFriend.interface.parseError(estimate.data ?? "0x")?.name];
const sent = await ofFriend.transfer(owner.address, tooMuch, { gasLimit: 100_000 });
const failure = await sent.wait().catch((error) => error);
saw.sentRevert = [failure.code, failure.receipt?.status];

// A friend without a wei spends tokens: transactions cost nothing here.
saw.friendFunds = (await provider.getBalance(friend.address)).toString();
saw.friendSpends = (await (await ofFriend.transfer(owner.address, parseEther("2"))).wait()).status;
saw.friendHoldsAtEnd = (await token.balanceOf(friend.address)).toString();

// Two sends without waiting between them: the pending nonce counts the first.
const both = await Promise.all([1n, 2n].map(async (value, index) =>
  owner.sendTransaction({ to: friend.address, value, nonce: (await provider.getTransactionCount(owner.address)) + index }),
));
saw.bothStatus = (await Promise.all(both.map((transaction) => transaction.wait()))).map(({ status }) => status);
saw.friendWei = (await provider.getBalance(friend.address)).toString();

await all;
await token.off("Transfer");
saw.heard = heard;

// A transaction whose answer was lost is sent again, as it was and beside another request.
const again = await owner.signTransaction(await owner.populateTransaction({ to: friend.address, value: 1n, gasLimit: 21_000n }));
const send = { jsonrpc: "2.0", method: "eth_sendRawTransaction", params: [again] };
const ask = { jsonrpc: "2.0", id: 9, method: "eth_getTransactionCount", params: [owner.address, "pending"] };
const post = async (body) => (await fetch(process.env.SYNOD_RPC_URL, { method: "POST", body: JSON.stringify(body) })).json();
const first = await post({ ...send, id: 1 });
const second = await post({ ...send, id: 2 });
const [third, count] = await post([{ ...send, id: 3 }, ask]);
saw.again = [first.result.length, second.result === first.result, third.error, count.result === `0x${(await owner.getNonce()).toString(16)}`];

const block = await provider.getBlock("latest");
saw.blockFields = [block.number > 0, block.hash.length, block.timestamp > 1_600_000_000, block.baseFeePerGas?.toString()];

console.log(JSON.stringify(saw));
provider.destroy();
