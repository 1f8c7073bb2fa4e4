// Programs for tests of the command: modules of a few instructions, assembled by wabt 1.0.39.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BYTES = {
	// Copies descriptor 0 to 1; ends with the error of either.
	cat: "AGFzbQEAAAABEANgBH9/f38Bf2ABfwBgAAACZwMWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQdmZF9yZWFkAAAWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQhmZF93cml0ZQAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAgHEwIGbWVtb3J5AgAGX3N0YXJ0AAMKWwFZAQF/A0BBAEGAgAQ2AgBBBEGAgBA2AgBBAEEAQQFBCBAAIQAgAARAIAAQAgtBCCgCAEUEQA8LQQRBCCgCADYCAEEBQQBBAUEIEAEhACAABEAgABACCwwACws=",
	// unreachable.
	trap: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKBQEDAAAL",
	// An endless loop.
	spin: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKCQEHAANADAALCw==",
	// Imports functions that do not exist.
	absent:
		"AGFzbQEAAAABBAFgAAACKwIDZW52A29uZQAAFndhc2lfc25hcHNob3RfcHJldmlldzEGZmRfZmx5AAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKBAECAAs=",
	// Exports _initialize, and no _start.
	library: "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHGAIGbWVtb3J5AgALX2luaXRpYWxpemUAAAoEAQIACw==",
	// Polls descriptor 0 for reading, and ends with the number of bytes in the event.
	poll: "AGFzbQEAAAABEANgBH9/f38Bf2ABfwBgAAACSQIWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQtwb2xsX29uZW9mZgAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKIAEeAEEIQQE6AABBAEHAAEEBQYABEAAaQdAAKAIAEAEL",
	// Waits for an hour, and ends with the number of events.
	hour: "AGFzbQEAAAABEANgBH9/f38Bf2ABfwBgAAACSQIWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQtwb2xsX29uZW9mZgAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKLQErAEEQQQE2AgBBGEKAwOKF4+gANwMAQQBBwABBAUGAARAAGkGAASgCABABCw==",
	// Prints its arguments and its environment, each with a NUL behind it.
	show: "AGFzbQEAAAABEgNgAn9/AX9gBH9/f38Bf2AAAAK9AQUWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQ5hcmdzX3NpemVzX2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzEIYXJnc19nZXQAABZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxEWVudmlyb25fc2l6ZXNfZ2V0AAAWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQtlbnZpcm9uX2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzEIZmRfd3JpdGUAAQMDAgICBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAYKQQIWAEEAQYDAADYCAEEBQQBBAUEIEAQaCygAQRBBBBAAGkGACEGAwAAQARoQBUEQQQQQAhpBgAhBgMAAEAMaEAUL",
	// Accepts a connection at descriptor 3, and sends back what comes first.
	serve:
		"AGFzbQEAAAABEwNgBH9/f38Bf2ADf39/AX9gAAACjgEEFndhc2lfc25hcHNob3RfcHJldmlldzELcG9sbF9vbmVvZmYAABZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxC3NvY2tfYWNjZXB0AAEWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQdmZF9yZWFkAAAWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQhmZF93cml0ZQAAAwIBAgUDAQABBxMCBm1lbW9yeQIABl9zdGFydAAEClgBVgBBCEEBOgAAQRBBAzYCAEEAQcAAQQFBgAEQABpBA0EAQYACEAEaQQBBgMAANgIAQQRB5AA2AgBBgAIoAgBBAEEBQQQQAhpBgAIoAgBBAEEBQQgQAxoL",
	// Prints the names of its directories, each with a newline behind it.
	names:
		"AGFzbQEAAAABGQRgAn9/AX9gA39/fwF/YAR/f39/AX9gAAACeAMWd2FzaV9zbmFwc2hvdF9wcmV2aWV3MQ5mZF9wcmVzdGF0X2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzETZmRfcHJlc3RhdF9kaXJfbmFtZQABFndhc2lfc25hcHNob3RfcHJldmlldzEIZmRfd3JpdGUAAgMCAQMFAwEAAQcTAgZtZW1vcnkCAAZfc3RhcnQAAwphAV8BAn9BAyEAA0AgAEHAABAAQQBHBEAPC0HEACgCACEBIABBgMAAIAEQARpBgMAAIAFqQQo6AABBAEGAwAA2AgBBBCABQQFqNgIAQQFBAEEBQQgQAhogAEEBaiEADAALCw==",
	// Ends with the kinds of descriptors 0 and 1 for WASI, as one number in hexadecimal.
	kinds:
		"AGFzbQEAAAABDgNgAn9/AX9gAX8AYAAAAksCFndhc2lfc25hcHNob3RfcHJldmlldzENZmRfZmRzdGF0X2dldAAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKIgEgAEEAQQAQABpBAUEgEAAaQQAtAABBIC0AAEEEdHIQAQs=",
	// Makes the directory "made" in descriptor 3, and ends with the error.
	make: "AGFzbQEAAAABDwNgA39/fwF/YAF/AGAAAAJTAhZ3YXNpX3NuYXBzaG90X3ByZXZpZXcxFXBhdGhfY3JlYXRlX2RpcmVjdG9yeQAAFndhc2lfc25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKDgEMAEEDQQBBBBAAEAELCwoBAEEACwRtYWRl",
} as const;

/** Makes a folder with all programs in it, and NAME.wasm for each; returns it, and how to remove it. */
export function programs(): { readonly folder: string; remove(): void } {
	const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
	for (const [name, text] of Object.entries(BYTES))
		writeFileSync(join(folder, `${name}.wasm`), Buffer.from(text, "base64"));
	return { folder, remove: () => rmSync(folder, { recursive: true }) };
}
