// Standard input and output that are not descriptors yet: bytes, functions, and the console.
import { SyntheticFile } from "@kqpoll/kqueue";
import { FREAD, FWRITE } from "@kqpoll/kqueue/kernel";
import { S_IFIFO, type Stat } from "@kqpoll/kqueue/stat";
import { decodeLoosely, encode, printLine } from "./platform.ts";

/** A descriptor of the guest's process, or all bytes of standard input. A text is in UTF-8. */
export type Input = number | string | Uint8Array;
/** A descriptor of the guest's process, or a function that gets what the guest writes. */
export type Output = number | ((bytes: Uint8Array) => void);

/** For the guest it is a pipe. */
function stat(): Stat {
	return { mode: S_IFIFO | 0o600, size: 0, blksize: ROOM };
}

/** How much room there always is. */
const ROOM = 65_536;
const NEWLINE = 10;

/** A file with bytes that are there from the beginning, then its end. */
export function inputFile(content: string | Uint8Array): SyntheticFile {
	const file = new SyntheticFile({ type: "vnode", stat });
	file.flags = FREAD;
	file.push(typeof content === "string" ? encode(content) : content.slice());
	file.set("read", { eof: true, hup: true });
	return file;
}

/** A file that passes what is written to a function of the program, in copies. */
export function outputFile(
	pass: (bytes: Uint8Array) => void,
	end: () => void = () => {},
): SyntheticFile {
	const write = (bytes: Uint8Array): number => {
		pass(bytes.slice());
		return bytes.length;
	};
	const file = new SyntheticFile({ type: "vnode", stat, write, close: end });
	file.flags = FWRITE;
	file.set("write", ROOM);
	return file;
}

/** A file that prints lines on the platform's console; a rest without a newline at its close. */
export function consoleFile(isError: boolean): SyntheticFile {
	let rest: Uint8Array = new Uint8Array(0);
	const print = (line: Uint8Array): void => printLine(decodeLoosely(line), isError);
	const pass = (bytes: Uint8Array): void => {
		const all = joined(rest, bytes);
		let from = 0;
		for (let to = all.indexOf(NEWLINE); to >= 0; to = all.indexOf(NEWLINE, from)) {
			print(all.subarray(from, to));
			from = to + 1;
		}
		rest = all.slice(from);
	};
	return outputFile(pass, () => {
		if (rest.length > 0) print(rest);
	});
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
	if (one.length === 0) return other;
	const all = new Uint8Array(one.length + other.length);
	all.set(one);
	all.set(other, one.length);
	return all;
}
