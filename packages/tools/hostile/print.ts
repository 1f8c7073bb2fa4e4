// Values in a transcript.
import { FdSet } from "@kqpoll/kqpoll";
import { SystemError } from "@kqpoll/kqueue";

/** How hostile objects are called, which must not be looked at. */
const labels: WeakMap<object, string> = new WeakMap();

/** Sets the name of an object in transcripts, and returns the object. */
export function label<T extends object>(name: string, value: T): T {
	labels.set(value, name);
	return value;
}

/** Whether a value has a name of its own. */
export function isLabelled(value: unknown): boolean {
	return typeof value === "object" && value !== null && labels.has(value);
}

/** A value in words, without running code of the value. */
export function print(value: unknown): string {
	if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
	if (typeof value === "bigint") return `${value}n`;
	if (typeof value === "function") return labels.get(value) ?? "a function";
	if (typeof value !== "object" || value === null) return String(value);
	return labels.get(value) ?? printObject(value);
}

function printObject(value: object): string {
	try {
		if (value instanceof SystemError) return value.code;
		if (value instanceof Error) return `${value.name}: ${value.message}`;
		if (value instanceof Uint8Array) return `bytes(${value.length})`;
		if (Array.isArray(value)) return `[${value.slice(0, 8).map(print).join(", ")}]`;
		if (value instanceof FdSet) return `{${[...value].join(", ")}}`;
		if (value instanceof Promise) return "a promise";
		if ("tid" in value) return `thread ${String(value.tid)}`;
		if ("pid" in value && "threads" in value) return `process ${String(value.pid)}`;
		const prototype: unknown = Object.getPrototypeOf(value);
		const isPlain = prototype === Object.prototype || prototype === null;
		const name = value.constructor?.name;
		if (!isPlain && name !== "Kevent") return name ?? "an object";
		const fields = Object.entries(value).filter(([, each]) => typeof each !== "function");
		return `{ ${fields.map(([key, each]) => `${key}: ${print(each)}`).join(", ")} }`;
	} catch {
		return "an object that cannot be looked at";
	}
}
