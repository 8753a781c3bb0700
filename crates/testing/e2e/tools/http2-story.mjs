// Writes and reads a hundred messages over one HTTP/2 connection, all streams open at once.
// Prints how many answers were right, as JSON.
// Usage: node http2-story.mjs https://host:port CERTIFICATE KEY SERVICE_CERTIFICATE
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const [url, certificate, key, service] = process.argv.slice(2);
const session = connect(url, {
  cert: readFileSync(certificate),
  key: readFileSync(key),
  ca: readFileSync(service),
  checkServerIdentity: () => undefined, // a node is whoever the service's key signed, whatever its name
});
session.on("error", (error) => { console.error(error); process.exit(1); });

const send = (method, path, body) => new Promise((resolve, reject) => {
  const stream = session.request({ ":method": method, ":path": path });
  const answer = { text: "" };
  stream.setEncoding("utf8");
  stream.on("response", (headers) => { answer.status = headers[":status"]; answer.txid = headers["synod-txid"]; });
  stream.on("data", (part) => { answer.text += part; });
  stream.on("end", () => resolve(answer));
  stream.on("error", reject);
  stream.end(body);
});

const keys = Array.from({ length: 100 }, (_, index) => 7000 + index);
const written = await Promise.all(keys.map((at) => send("PUT", `/app/log/${at}`, `message ${at}`)));
const read = await Promise.all(keys.map((at) => send("GET", `/app/log/${at}`)));
const refused = await send("GET", "/app/log/nine");
console.log(JSON.stringify({
  written: written.filter(({ status }) => status === 200).length,
  txids: new Set(written.map(({ txid }) => txid)).size,
  read: read.filter(({ status, text }, index) => status === 200 && text === `message ${keys[index]}`).length,
  refused: [refused.status, JSON.parse(refused.text).error.code],
}));
session.close();
