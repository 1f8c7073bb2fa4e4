// A server on the loopback interface for the pages of a browser.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A server. */
export interface Server {
	/** The address of an empty page. */
	readonly url: string;
	/** Ends it. */
	close(): void;
}

/** Pages may share memory with their workers. */
const HEADERS = {
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-embedder-policy": "require-corp",
};

/** Serves an empty page, and modules by their names. */
export async function serve(modules: ReadonlyMap<string, Uint8Array>): Promise<Server> {
	const server = createServer(({ url = "/" }, response) => {
		const module = modules.get(decodeURIComponent(url.slice(1)));
		if (url === "/") {
			response.writeHead(200, { ...HEADERS, "content-type": "text/html" });
			response.end("<!doctype html><title>kqpoll</title>");
		} else if (module === undefined) {
			response.writeHead(404, HEADERS).end();
		} else {
			response.writeHead(200, { ...HEADERS, "content-type": "text/javascript" }).end(module);
		}
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		url: `http://127.0.0.1:${port}/`,
		close() {
			server.close();
			server.closeAllConnections();
		},
	};
}
