// random(4): random bytes.
import { EVFILT_READ, EVFILT_WRITE, errno, type Thread } from "@kqpoll/kqueue";
import { type Filterops, filterops, type Knote } from "@kqpoll/kqueue/kernel";
import { Device } from "./device.ts";

/** How many bytes are read from the main generator at once: what READ says there are. */
const RND_MAIN_MAX_BYTES = 2048;
/** The size of the entropy pool: what WRITE says there is room for. */
const POOLBYTES = 8192;

/** Endless random bytes, and takes everything. */
export class RandomDevice extends Device {
	/** Random bytes of the kernel's host, as many as fit. */
	protected override get(thread: Thread, buffer: Uint8Array): number {
		const { host } = thread.kernel;
		for (let i = 0, bits = 0; i < buffer.length; i++, bits >>>= 8) {
			if (i % 4 === 0) bits = host.random();
			buffer[i] = bits & 0xff;
		}
		return buffer.length;
	}

	/** Takes all, and ignores it: the host's generator does not need more entropy. */
	protected override put(_thread: Thread, buffer: Uint8Array): number {
		return buffer.length;
	}

	/** Always ready, and says for how much. EINVAL for other filters than READ and WRITE. */
	protected override watch(kn: Knote): number {
		if (kn.filter !== EVFILT_READ && kn.filter !== EVFILT_WRITE) return errno.EINVAL;
		kn.fop = kn.filter === EVFILT_READ ? readFiltops : writeFiltops;
		return 0;
	}
}

/** A filter that is always active, with the same data. */
function constantFilter(name: string, data: number): Filterops {
	return filterops({
		name,
		// The knote is on no list.
		detach: () => {},
		event: (kn) => {
			kn.data = data;
			return true;
		},
	});
}

const readFiltops: Filterops = constantFilter("random read", RND_MAIN_MAX_BYTES);
const writeFiltops: Filterops = constantFilter("random write", POOLBYTES);
