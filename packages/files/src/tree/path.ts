// What a path, a name and the target of a symbolic link may be.
import { errno, SystemError } from "@kqpoll/kqueue";
import { show } from "@kqpoll/kqueue/kernel";

/** A name has at most this many bytes. */
const NAME_MAX = 255;
/** A path, and the target of a symbolic link, has fewer bytes than this. */
export const PATH_MAX = 1024;

/** Throws EFAULT for what is not a string, EINVAL for what C cannot express, ENAMETOOLONG. */
export function checkString(path: string, syscall: string): void {
	if (typeof path !== "string") throw new SystemError(errno.EFAULT, syscall, `path ${show(path)}`);
	if (path.includes("\0")) throw new SystemError(errno.EINVAL, syscall, "the path contains a NUL");
	// A string has at least as many bytes as units: those of a huge one need not be counted.
	if (path.length >= PATH_MAX || utf8Length(path) >= PATH_MAX)
		throw new SystemError(errno.ENAMETOOLONG, syscall);
}

/** Throws ENAMETOOLONG for a name of more than 255 bytes. */
export function checkName(name: string, syscall: string): void {
	if (utf8Length(name) > NAME_MAX) throw new SystemError(errno.ENAMETOOLONG, syscall);
}

/** A path without the slashes at its end. */
export function withoutSlashes(path: string): string {
	let end = path.length;
	while (end > 0 && path[end - 1] === "/") end--;
	return end === 0 ? path : path.slice(0, end);
}

/** The place of the first character from `start` on that is not a slash. */
export function afterSlashes(path: string, start: number): number {
	let at = start;
	while (path[at] === "/") at++;
	return at;
}

/** How many bytes a string has in UTF-8. */
export function utf8Length(text: string): number {
	let length = 0;
	for (const character of text) {
		const code = character.codePointAt(0) as number;
		if (code < 0x80) length += 1;
		else if (code < 0x800) length += 2;
		else length += code < 0x10000 ? 3 : 4;
	}
	return length;
}
