// How a call of the guest goes to the kernel: its data into the mailbox, and what comes back out of it.
import { wasiErrno } from "@kqpoll/wasi/kernel";
import { CAPACITY_MAX, Mailbox } from "../abi/mailbox.ts";
import { FUNCTIONS, isPair, type Parameter, SIGNATURES } from "../abi/signatures.ts";
import type { Message } from "../platform.ts";
import { type GuestMemory, gather, lengthOf, Refusal, scatter } from "./memory.ts";

/** A parameter of the guest's import. */
export type Value = number | bigint;

/** A part of the guest's memory that a call reads or writes, and its place in the mailbox. */
interface Region {
	readonly parameter: Parameter;
	readonly pieces: readonly Uint8Array[];
	/** How many bytes it has. */
	readonly size: number;
	/** Where they are in the mailbox. */
	at: number;
}

/** How long a pair of pointer and length is, in bytes. */
const IOVEC = 8;

const NUMBERS: ReadonlyMap<string, number> = new Map(FUNCTIONS.map((name, i) => [name, i]));

function aligned(size: number): number {
	return (size + 7) & ~7;
}

/** How many bytes of the mailbox a region takes. */
function roomFor({ parameter, size }: Region): number {
	return aligned(size) + (isList(parameter) ? IOVEC : 0);
}

function isList(parameter: Parameter): boolean {
	return parameter === "gather" || parameter === "scatter";
}

/** Whether a function fills a buffer of the guest. */
function isFilled(parameter: Parameter): boolean {
	return parameter === "scatter" || parameter === "out";
}

/** Asks the kernel for one guest. */
export class Exchange {
	private readonly memory: GuestMemory;
	/** The mailbox. */
	readonly mailbox: Mailbox;
	private readonly post: (message: Message) => void;

	/** `post` sends the kernel a message, after which it looks into the mailbox. */
	constructor(memory: GuestMemory, mailbox: Mailbox, post: (message: Message) => void) {
		this.memory = memory;
		this.mailbox = mailbox;
		this.post = post;
	}

	/**
	 * Calls a function of WASI in the kernel, and returns its error number. `list` are the pieces of
	 * memory that it transfers, if they are not those that its parameters name. Throws a refusal for
	 * pointers that are wrong.
	 */
	call(name: string, values: readonly Value[], list?: readonly Uint8Array[]): number {
		const regions = this.regionsOf(SIGNATURES[name] as readonly Parameter[], values, list);
		const mailbox = this.mailboxFor(regions.reduce((sum, region) => sum + roomFor(region), 0));
		copyIn(mailbox, SIGNATURES[name] as readonly Parameter[], values, regions);
		const errno = this.ask(mailbox, name);
		copyOut(mailbox, regions, errno === wasiErrno.SUCCESS);
		return errno;
	}

	/** A mailbox with this much room: another one for a single call, if it is not that of the guest. */
	mailboxFor(room: number): Mailbox {
		const { mailbox } = this;
		if (mailbox.start + room <= mailbox.end) return mailbox;
		if (room > CAPACITY_MAX) throw new Refusal(wasiErrno.NOMEM);
		return Mailbox.make(room);
	}

	/** Asks for what a mailbox holds, and waits for the answer. */
	ask(mailbox: Mailbox, name: string): number {
		const message = mailbox === this.mailbox ? null : mailbox.buffer;
		return mailbox.ask(NUMBERS.get(name) as number, () => this.post(message));
	}

	private regionsOf(
		signature: readonly Parameter[],
		values: readonly Value[],
		list: readonly Uint8Array[] | undefined,
	): Region[] {
		const regions: Region[] = [];
		let next = 0;
		for (const parameter of signature) {
			const value = values[next++] as number;
			if (parameter === "i32" || parameter === "i64") continue;
			const count = isPair(parameter) ? (values[next++] as number) : (parameter as number);
			const pieces = isList(parameter)
				? (list ?? this.memory.pieces(value, count))
				: [this.memory.bytes(value, count)];
			regions.push({ parameter, pieces, size: lengthOf(pieces), at: 0 });
		}
		return regions;
	}
}

/** Puts the parameters into the mailbox, with the bytes that the function reads. */
function copyIn(
	mailbox: Mailbox,
	signature: readonly Parameter[],
	values: readonly Value[],
	regions: readonly Region[],
): void {
	const counts = regions.some((it) => typeof it.parameter === "number");
	let free = mailbox.start;
	let value = 0;
	let index = 0;
	let region = 0;
	for (const parameter of signature) {
		if (parameter === "i32" || parameter === "i64") {
			mailbox.setParameter(index++, values[value++] as Value);
			continue;
		}
		const it = regions[region++] as Region;
		it.at = free;
		free += aligned(it.size);
		// Also what the function may leave as it is, and comes back as a whole.
		if (!isFilled(parameter) || !counts) gather(it.pieces, mailbox.bytes, it.at);
		if (isList(parameter)) {
			mailbox.view.setUint32(free, it.at, true);
			mailbox.view.setUint32(free + 4, it.size, true);
			mailbox.setParameter(index++, free);
			mailbox.setParameter(index++, 1);
			free += IOVEC;
		} else {
			mailbox.setParameter(index++, it.at);
			if (isPair(parameter)) mailbox.setParameter(index++, it.size);
		}
		value += isPair(parameter) ? 2 : 1;
	}
}

/** Takes what the function has written out of the mailbox. */
function copyOut(mailbox: Mailbox, regions: readonly Region[], succeeded: boolean): void {
	const filled = regions.find(({ parameter }) => typeof parameter === "number");
	for (const { parameter, pieces, size, at } of regions) {
		if (typeof parameter === "number") scatter(mailbox.bytes, at, size, pieces);
		else if (isFilled(parameter) && succeeded) {
			const count = filled === undefined ? size : mailbox.view.getUint32(filled.at, true);
			scatter(mailbox.bytes, at, Math.min(count, size), pieces);
		}
	}
}
