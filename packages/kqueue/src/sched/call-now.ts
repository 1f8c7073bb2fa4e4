// The form of a call that never sleeps.
import { errno, unwrap } from "../abi/errno.ts";
import type { Failure } from "../base/failure.ts";
import { type BlockingCall, WOULD_SLEEP } from "./call.ts";
import { finish } from "./run-call.ts";

/**
 * The form that never sleeps: throws EAGAIN for a call that would have to. The caller has entered
 * the call with the thread, and leaves it afterwards.
 */
export function callNow(call: BlockingCall | number): number {
	if (typeof call === "number") return call;
	const { syscall } = call;
	let result = 0;
	let failure: Failure = null;
	try {
		result = call.step(0);
	} catch (value) {
		failure = { value };
	}
	finish(call, failure);
	return unwrap(result === WOULD_SLEEP ? -errno.EAGAIN : result, syscall);
}
