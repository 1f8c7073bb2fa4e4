// The driver that never sleeps.
import { unwrap } from "../abi/errno.ts";
import type { Failure } from "../base/failure.ts";
import type { BlockingCall } from "./call.ts";
import { finish } from "./run-call.ts";

/** The form that never sleeps: the call's timeout must be 0. The thread has entered it. */
export function callNow(call: BlockingCall): number {
	const { syscall } = call;
	let result = 0;
	let failure: Failure = null;
	try {
		result = call.step(0);
	} catch (value) {
		failure = { value };
	}
	finish(call, failure);
	return unwrap(result, syscall);
}
