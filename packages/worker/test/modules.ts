// Guests that tests run in workers: modules of a few instructions, assembled by wabt 1.0.39.

/** A WebAssembly.Module. */
const { Module } = (
	globalThis as unknown as { WebAssembly: { Module: new (bytes: Uint8Array) => object } }
).WebAssembly;

const BYTES = {
	// An endless loop.
	spin: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKCQEHAANADAALCw==",
	// unreachable.
	trap: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKBQEDAAAL",
	// Imports what does not exist.
	missing:
		"AGFzbQEAAAABBAFgAAACDgEDZW52BmFic2VudAAAAwIBAAUDAQABBxMCBm1lbW9yeQIABl9zdGFydAABCgYBBAAQAAs=",
	// Exports _initialize, and no _start.
	library: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHGAIGbWVtb3J5AgALX2luaXRpYWxpemUAAAoEAQIACw==",
	// Does not export its memory.
	closed: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHCgEGX3N0YXJ0AAAKBAECAAs=",
	// Copies descriptor 0 to 1, in pieces of 256 KiB; ends with the error of either.
	cat: "AGFzbQEAAAABEANgBH9/f38Bf2ABfwBgAAACZwMWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQdmZF9yZWFkAAAWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQhmZF93cml0ZQAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAgHEwIGbWVtb3J5AgAGX3N0YXJ0AAMKWwFZAQF/A0BBAEGAgAQ2AgBBBEGAgBA2AgBBAEEAQQFBCBAAIQAgAARAIAAQAgtBCCgCAEUEQA8LQQRBCCgCADYCAEEBQQBBAUEIEAEhACAABEAgABACCwwACws=",
	// Polls descriptor 0 for reading, and ends with the number of bytes in the event.
	poll: "AGFzbQEAAAABEANgBH9/f38Bf2ABfwBgAAACSQIWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQtwb2xsX29uZW9mZgAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKIAEeAEEIQQE6AABBAEHAAEEBQYABEAAaQdAAKAIAEAEL",
	// Writes the monotonic time, the real time and 16 random bytes to descriptor 1.
	time: "AGFzbQEAAAABGQRgA39+fwF/YAJ/fwF/YAR/f39/AX9gAAACbwMWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQ5jbG9ja190aW1lX2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzEKcmFuZG9tX2dldAABFndhc2lfc25hcHNob3RfcHJldmlldzEIZmRfd3JpdGUAAgMCAQMFAwEAAQcTAgZtZW1vcnkCAAZfc3RhcnQAAwo2ATQAQQFCAUEQEAAaQQBCAUEYEAAaQSBBEBABGkEAQRA2AgBBBEEgNgIAQQFBAEEBQQgQAhoL",
} as const;

/** The name of a guest. */
export type Name = keyof typeof BYTES;

/** Compiles a guest. */
export function moduleOf(name: Name): object {
	return new Module(Buffer.from(BYTES[name], "base64"));
}
