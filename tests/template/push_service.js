// A push service for `measure.py`: it takes every push over HTTP/2 and TLS, and prints a line for each.
//
// It answers late, so that `measure.py` reads the cost of a push before the answer adds to it.
const http2 = require("node:http2");
const fs = require("node:fs");

const [key, cert] = process.argv.slice(2).map((file) => fs.readFileSync(file));
const server = http2.createSecureServer({ key, cert }, (request, response) => {
  let bytes = 0;
  request.on("data", (chunk) => (bytes += chunk.length));
  request.on("end", () => {
    console.log(`push ${bytes}`);
    setTimeout(() => response.writeHead(201).end(), 50);
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
