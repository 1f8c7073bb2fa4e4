// The guests in C: suspended on the page itself, and blocking a worker.
import { playAll } from "./guest-library.ts";
import type { Result } from "./results.ts";

/** What the worker's guests came to. */
function inWorker(): Promise<Result[]> {
	const worker = new Worker("/guests.worker.js", { type: "module" });
	return new Promise((resolve, reject) => {
		worker.onmessage = ({ data }) => resolve(data as Result[]);
		worker.onerror = ({ message }) => reject(new Error(message));
	});
}

export const results: Result[] = [...(await playAll("jspi")), ...(await inWorker())];
