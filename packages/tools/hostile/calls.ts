// How operations call: what returns at once, what sleeps, and the forms of a call for hosts.
import type { Thread } from "@kqpoll/kqueue";
import {
	type BlockingCall,
	callAsync,
	callEither,
	callNow,
	callSync,
	Driver,
	startCall,
	syscall,
	WOULD_SLEEP,
} from "@kqpoll/kqueue/kernel";
import { draw, type Kind, sleepOptions } from "./values.ts";
import type { Operation, World } from "./world.ts";

/** Any function that is called. */
export type Callable = (...args: never[]) => unknown;

/** What a call that succeeded has done to descriptors, or left to be done. */
export type Effect = (
	world: World,
	result: never,
	args: readonly unknown[],
	thread: Thread,
) => void;

const NONE: Effect = () => {};

/** An argument that is not the current thread, once in a while. */
function caller(world: World): unknown {
	return !world.honest && world.random.once(60)
		? draw(() => world.thread.process, world)
		: world.thread;
}

/** Calls, and notes what came of it. */
function invoke(
	world: World,
	name: string,
	fn: Callable,
	args: readonly unknown[],
	effect: Effect,
	shown: readonly unknown[] = args,
): void {
	const { thread } = world;
	let result: unknown;
	try {
		result = Reflect.apply(fn, undefined, args);
	} catch (error) {
		world.refused(name, shown, error);
		return;
	}
	world.called(name, shown, result);
	if (result instanceof Promise)
		world.track(name, result, (value) => effect(world, value as never, args, thread));
	else effect(world, result as never, args, thread);
}

/** A call with the current thread that returns at once. */
export function now(fn: Callable, kinds: readonly Kind[], effect: Effect = NONE): Operation {
	return (world) => {
		const args = [caller(world), ...kinds.map((kind) => draw(kind, world))];
		invoke(world, fn.name, fn, args, effect);
	};
}

/** A call without a thread. */
export function plain(fn: Callable, kinds: readonly Kind[], effect: Effect = NONE): Operation {
	return (world) => {
		invoke(
			world,
			fn.name,
			fn,
			kinds.map((kind) => draw(kind, world)),
			effect,
		);
	};
}

/** A call that sleeps and returns a promise. */
export function sleeps(fn: Callable, kinds: readonly Kind[], effect: Effect = NONE): Operation {
	return now(fn, [...kinds, sleepOptions], effect);
}

/** A call of the program's own making: what it does is not checked in other ways. */
export function custom(name: string, act: (world: World) => unknown): Operation {
	return (world) => {
		invoke(world, name, () => act(world) as undefined, [], NONE);
	};
}

/** A driver of the program's own. */
class OwnDriver extends Driver {
	private readonly settle: (error: unknown, result: number) => void;
	private readonly go: (thread: Thread) => void;

	constructor(settle: (error: unknown, result: number) => void, go: (thread: Thread) => void) {
		super();
		this.settle = settle;
		this.go = go;
	}

	override woken(thread: Thread): void {
		this.go(thread);
	}

	override done(result: number): void {
		this.settle(null, result);
	}

	override failed(error: unknown): void {
		this.settle(error, 0);
	}
}

type Start = (thread: Thread, ...args: readonly unknown[]) => BlockingCall | number;
type Form = (thread: Thread, begin: Start, args: readonly unknown[], options: never) => unknown;

/** The forms that every call which may sleep has. */
export function formsOf(resume: (thread: Thread) => void): readonly (readonly [string, Form])[] {
	return [
		["Async", (thread, begin, args, options) => callAsync(thread, "form", options, begin, ...args)],
		[
			"Either",
			(thread, begin, args, options) => callEither(thread, "form", options, begin, ...args),
		],
		["Sync", (thread, begin, args, options) => callSync(thread, "form", options, begin, ...args)],
		[
			"Now",
			(thread, begin, args) => syscall(thread, "form", () => callNow(begin(thread, ...args))),
		],
		[
			"start",
			(thread, begin, args, options) =>
				new Promise<number>((resolve, reject) => {
					const settle = (error: unknown, n: number): void =>
						error === null ? resolve(n) : reject(error);
					const driver = (): Driver => new OwnDriver(settle, resume);
					const result = startCall(driver, thread, "form", options, begin, ...args);
					if (result !== WOULD_SLEEP) resolve(result);
				}),
		],
	];
}

/** The beginning of a call, driven in any form. */
export function begun(
	forms: readonly (readonly [string, Form])[],
	begin: Callable,
	kinds: readonly Kind[],
	effect: Effect = NONE,
): Operation {
	return (world) => {
		const [form, drive] = world.random.pick(forms);
		const { thread } = world;
		const args = kinds.map((kind) => draw(kind, world));
		const options = sleepOptions(world) as never;
		const act = (): unknown => drive(thread, begin as Start, args, options);
		invoke(world, `${begin.name}/${form}`, act, [thread, ...args], effect, [
			thread,
			...args,
			options,
		]);
	};
}
