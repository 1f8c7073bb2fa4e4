// A program that reloads its configuration when the file changes: a real directory and the real
// file in it, watched with EVFILT_VNODE. A watch is for the file, not for its name. So when another
// file takes its place, as with most editors, the directory reports it, and the new file is
// watched.
import { mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, exit, Kernel, type SystemError, type Thread } from "@kqpoll/kqueue";
import { openPath } from "@kqpoll/node";
import { kernelScheduler, vnodeChanges } from "@kqpoll/rxjs";
import {
	debounceTime,
	distinctUntilChanged,
	EMPTY,
	finalize,
	firstValueFrom,
	map,
	type Observable,
	share,
	startWith,
	switchMap,
} from "rxjs";

/** For how many milliseconds nothing must happen before it is loaded. */
const QUIET = 50;

/** Emits whenever the file at a path changes, until another file is there. */
function changes(thread: Thread, path: string): Observable<unknown> {
	try {
		const fd = openPath(thread, path);
		return vnodeChanges(thread, fd).pipe(finalize(() => close(thread, fd)));
	} catch (error) {
		if ((error as SystemError).code === "ENOENT") return EMPTY;
		throw error;
	}
}

/** The configuration, now and whenever it changes. */
function configurations(thread: Thread, directory: string, name: string): Observable<string> {
	const path = join(directory, name);
	return changes(thread, directory).pipe(
		startWith("begin"),
		switchMap((change) => changes(thread, path).pipe(startWith(change))),
		// An editor may not have finished: the file is loaded when nothing has happened for a while.
		debounceTime(QUIET, kernelScheduler(thread.kernel)),
		map(() => load(path)),
		distinctUntilChanged(),
	);
}

function load(path: string): string {
	try {
		return readFileSync(path, "utf8").trim();
	} catch {
		return "nothing, so the defaults hold";
	}
}

/** Changes a configuration in several ways, and prints what the program loads. */
export async function run(print: (line: string) => void): Promise<void> {
	const { main } = new Kernel().spawn();
	const directory = mkdtempSync(join(tmpdir(), "config-watcher-"));
	const file = join(directory, "config");
	const loaded = configurations(main, directory, "config").pipe(share());
	const subscription = loaded.subscribe((text) => print(`    loaded: ${text}`));

	/** Does something, and waits until the result has been loaded. */
	const act = async (what: string, ...edits: (() => void)[]): Promise<void> => {
		print(what);
		const next = firstValueFrom(loaded);
		for (const edit of edits) edit();
		await next;
	};
	const write =
		(text: string, to = file) =>
		() =>
			writeFileSync(to, `${text}\n`);
	const replace = (text: string) => () => {
		write(text, join(directory, "config.new"))();
		renameSync(join(directory, "config.new"), file);
	};

	await act("it does not exist yet");
	await act("written for the first time", write("colour = red"));
	await act(
		"written three times in a row",
		...["green", "blue", "white"].map((c) => write(`colour = ${c}`)),
	);
	await act("replaced by another file", replace("colour = black"));
	await act("the new file is written", write("colour = pink"));
	await act(
		"written, and then as before; changed a little later",
		write("colour = grey"),
		write("colour = pink"),
		() => setTimeout(write("colour = teal"), 4 * QUIET),
	);
	await act("removed", () => unlinkSync(file));
	subscription.unsubscribe();
	rmSync(directory, { recursive: true });
	exit(main, 0);
}
