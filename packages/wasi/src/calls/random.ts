// random_get: random bytes.
import { RealHost } from "@kqpoll/kqueue";
import { type Guest, SUCCESS } from "../guest/guest.ts";
import { fillRandom } from "../platform.ts";

/**
 * Fills a buffer with random bytes: on a real host those of the platform, which nobody can predict;
 * on a virtual one those of the host, which are the same in each run.
 */
export function random_get({ memory, thread }: Guest, buffer: number, length: number): number {
	const bytes = memory.bytes(buffer, length);
	const { host } = thread.kernel;
	if (host instanceof RealHost && fillRandom(bytes)) return SUCCESS;
	for (let i = 0; i < bytes.length; i += 4) {
		const word = host.random();
		for (let j = i; j < Math.min(i + 4, bytes.length); j++) bytes[j] = word >>> (8 * (j - i));
	}
	return SUCCESS;
}
