// The attributes of files: what the calls on them set, whichever way the file was found.
import { errno, NOTE_ATTRIB, SystemError } from "@kqpoll/kqueue";
import { copyin, isInt32, isUint32, lengthOfList, show, unwrap } from "@kqpoll/kqueue/kernel";
import { UTIME_NOW, UTIME_OMIT } from "@kqpoll/kqueue/stat";
import type { Timespec } from "@kqpoll/kqueue/time";
import { type Caller, timeOf as nowOf } from "./caller.ts";
import type { NewTime, Vnode } from "./vnode.ts";

/** The S_IF type and the permission bits. */
const MODE_BITS = 0o177777;

/** The times of futimens and utimensat: of the last read, and of the last write. */
export type Times = readonly [atime: Timespec, mtime: Timespec];

/** Returns the permission bits of a mode. Errors: EINVAL for other bits than those of a mode. */
export function permissionsOf(mode: number, syscall: string): number {
	if (!isInt32(mode) || (mode & ~MODE_BITS) !== 0)
		throw new SystemError(errno.EINVAL, syscall, `mode ${show(mode)}`);
	return mode & 0o7777;
}

/** Sets the permission bits, and notifies watchers. EROFS. */
export function setPermissions(by: Caller, vnode: Vnode, permissions: number): void {
	set(by, vnode, (now) => vnode.setPermissions(permissions, now));
}

/** Throws EINVAL for what is neither the number of a user or a group nor -1. */
export function checkOwner(uid: number, gid: number, syscall: string): void {
	const valid = (id: number): boolean => isUint32(id) || id === -1;
	if (!valid(uid) || !valid(gid))
		throw new SystemError(errno.EINVAL, syscall, `user ${show(uid)}, group ${show(gid)}`);
}

/** Sets the user and the group, except for -1, and notifies watchers. EROFS. */
export function setOwner(by: Caller, vnode: Vnode, uid: number, gid: number): void {
	set(by, vnode, (now) => vnode.setOwner(kept(uid) ? -1 : uid, kept(gid) ? -1 : gid, now));
}

/** Whether a number says that the user or the group stays: -1, also as an unsigned number. */
function kept(id: number): boolean {
	return (id | 0) === -1;
}

/** Throws EINVAL for times that are not whole numbers of nanoseconds. */
export function checkTimes(atime: number, mtime: number, syscall: string): void {
	if (!Number.isInteger(atime) || !Number.isInteger(mtime))
		throw new SystemError(errno.EINVAL, syscall, `times ${show(atime)}, ${show(mtime)}`);
}

/** The times that timespecs mean, null for the time of the call. Errors: EFAULT, EINVAL. */
export function timesOf(times: Times | null, syscall: string): [NewTime, NewTime] {
	if (times === null) return ["now", "now"];
	if (lengthOfList(times, syscall, "times") !== 2)
		throw new SystemError(errno.EFAULT, syscall, "the times are not [atime, mtime] or null");
	return copyin(syscall, "times", () => [timeOf(times[0], syscall), timeOf(times[1], syscall)]);
}

function timeOf(time: Timespec, syscall: string): NewTime {
	if (typeof time !== "object" || time === null)
		throw new SystemError(errno.EFAULT, syscall, "a time is not { sec, nsec }");
	const { sec, nsec } = time;
	if (nsec === UTIME_NOW) return "now";
	if (nsec === UTIME_OMIT) return null;
	if (!Number.isSafeInteger(sec) || !Number.isInteger(nsec) || nsec < 0 || nsec >= 1e9)
		throw new SystemError(
			errno.EINVAL,
			syscall,
			`{ sec: ${show(sec)}, nsec: ${show(nsec)} } is out of range`,
		);
	const ns = sec * 1e9 + nsec;
	return Number.isSafeInteger(ns) ? ns : { sec, nsec };
}

/** Sets when a file was read and written last, and notifies watchers, even if no time changes. EROFS. */
export function setTimes(by: Caller, vnode: Vnode, atime: NewTime, mtime: NewTime): void {
	set(by, vnode, (now) => vnode.setTimes(atime, mtime, now));
}

function set(by: Caller, vnode: Vnode, act: (now: number) => number): void {
	if (vnode.fs.readOnly) throw new SystemError(errno.EROFS, by.syscall);
	unwrap(act(nowOf(by)), by.syscall);
	vnode.post(NOTE_ATTRIB);
}
