// What has happened to a file, from what it was and what it is: NOTE_ flags of EVFILT_VNODE.
import type { BigIntStats } from "node:fs";
import {
	NOTE_ATTRIB,
	NOTE_DELETE,
	NOTE_EXTEND,
	NOTE_LINK,
	NOTE_RENAME,
	NOTE_TRUNCATE,
	NOTE_WRITE,
} from "@kqpoll/kqueue";

/** The events of `fs.watch`. */
export type WatchEvent = "change" | "rename";

/** A file at two times. */
export interface Change {
	/** What was seen last. */
	readonly before: BigIntStats;
	/** What is seen now. */
	readonly after: BigIntStats;
	/** The event that is the reason to look. */
	readonly event: WatchEvent;
	/** Whether the path still leads to the file. */
	readonly inPlace: boolean;
	/** Whether it had just been written when it was seen last: then another write may not show. */
	readonly hadJustChanged: boolean;
	/** Whether what was seen last is a change that watchers know of: then only another one counts. */
	readonly own?: boolean;
}

/** What happened to a file: NOTE_ flags, 0 if nothing is known. */
export function notesOf(change: Change): number {
	const { before, after } = change;
	const notes = after.isDirectory() ? directoryNotes(change) : fileNotes(change);
	return notes | (attributesChanged(before, after) ? NOTE_ATTRIB : 0);
}

function fileNotes({ before, after, event, inPlace, hadJustChanged }: Change): number {
	let notes = linkNotes(before, after);
	if (event === "rename" && !inPlace && notes === 0) notes |= NOTE_RENAME;
	if (after.size > before.size) notes |= NOTE_WRITE | NOTE_EXTEND;
	else if (after.size < before.size) notes |= NOTE_ATTRIB | NOTE_TRUNCATE;
	else if (after.mtimeNs !== before.mtimeNs) notes |= setByHand(after) ? NOTE_ATTRIB : NOTE_WRITE;
	if (notes !== 0 || event === "rename") return notes;
	if (after.ctimeNs !== before.ctimeNs || attributesChanged(before, after)) return NOTE_ATTRIB;
	return hadJustChanged ? NOTE_WRITE : 0;
}

function directoryNotes({ before, after, event, inPlace, own = false }: Change): number {
	if (after.nlink === 0n) return before.nlink === 0n ? 0 : NOTE_DELETE;
	if (event === "rename" && !inPlace) return NOTE_RENAME;
	const links = after.nlink === before.nlink ? 0 : NOTE_LINK;
	// 'change' may be about a file in the directory, which is not reported.
	const written = (event === "rename" && !own) || after.mtimeNs !== before.mtimeNs;
	return links | (written ? NOTE_WRITE : 0);
}

/** One name less is an unlink, even if others remain. */
function linkNotes(before: BigIntStats, after: BigIntStats): number {
	if (after.nlink === before.nlink) return 0;
	return after.nlink < before.nlink ? NOTE_DELETE : NOTE_LINK;
}

/** Whether the time of the last write was set: otherwise it equals the time of the last change. */
function setByHand(stats: BigIntStats): boolean {
	return stats.mtimeNs !== stats.ctimeNs;
}

function attributesChanged(before: BigIntStats, after: BigIntStats): boolean {
	return before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid;
}
