// The kernel's side of a mailbox: calls the functions of WASI that a guest in a worker asks for.
import type { Thread } from "@kqpoll/kqueue";
import type { WASI } from "@kqpoll/wasi";
import { wasiErrno } from "@kqpoll/wasi/kernel";
import { Mailbox } from "../abi/mailbox.ts";
import { FUNCTIONS, widths } from "../abi/signatures.ts";

const WIDTHS: readonly (readonly boolean[])[] = FUNCTIONS.map(widths);

/** Serves one guest. */
export class Service {
	/** The mailbox of the guest. */
	readonly mailbox: Mailbox;
	/** What the kernel takes for the memory of the guest: the mailbox of the call. */
	readonly memory: { buffer: ArrayBufferLike };
	private readonly wasi: WASI;
	private readonly failed: (error: unknown) => void;

	/** `failed` is called when a function throws: because the process has ended, or the host is wrong. */
	constructor(wasi: WASI, mailbox: Mailbox, failed: (error: unknown) => void) {
		this.wasi = wasi;
		this.mailbox = mailbox;
		this.memory = { buffer: mailbox.buffer };
		this.failed = failed;
		this.look(wasi.thread);
	}

	/** The guest asks: in its mailbox, or in a larger one for a single call. */
	serve(larger: SharedArrayBuffer | null): void {
		const mailbox = larger === null ? this.mailbox : new Mailbox(larger);
		const { asked } = mailbox;
		const fn = this.wasi.functions[FUNCTIONS[asked] ?? ""];
		if (fn === undefined) {
			if (asked >= 0) mailbox.answer(wasiErrno.NOSYS);
			return;
		}
		this.memory.buffer = mailbox.buffer;
		const [a, b, c, d, e, f, g, h, i] = (WIDTHS[asked] as readonly boolean[]).map((isWide, index) =>
			mailbox.parameter(index, isWide),
		);
		try {
			const answer = fn(a, b, c, d, e, f, g, h, i);
			if (typeof answer === "number") this.answer(mailbox, answer);
			else answer.then((errno) => this.answer(mailbox, errno), this.failed);
		} catch (error) {
			this.failed(error);
		}
	}

	private answer(mailbox: Mailbox, errno: number): void {
		this.look(this.wasi.thread);
		mailbox.answer(errno);
	}

	/** Looks at the clocks, for those of the guest. */
	private look({ kernel: { host } }: Thread): void {
		this.mailbox.wall = host.realtime() - host.now();
	}
}
