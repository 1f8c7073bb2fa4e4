// What the kernel's side and a worker tell each other, besides the mailbox.
/** Arguments or an environment, as the guest gets them. */
export interface Strings {
	/** All of them, each with a NUL after it. */
	readonly bytes: Uint8Array;
	/** Where each one begins. */
	readonly offsets: readonly number[];
}

/** What functions that need no kernel have to know. */
export interface Local {
	/** The arguments. */
	readonly args: Strings;
	/** The environment. */
	readonly env: Strings;
	/** When the kernel's clock showed 0; null if it is not the platform's, and neither are random bytes. */
	readonly origin: number | null;
}

/** What a worker is told when it starts. */
export interface Told extends Local {
	/** The program: a WebAssembly.Module. */
	readonly module: object;
	/** The name of the module that it imports. */
	readonly namespace: string;
	/** The functions that the kernel has. */
	readonly functions: readonly string[];
	/** Where to ask the kernel. */
	readonly mailbox: SharedArrayBuffer;
}

/**
 * What a worker sends when its guest has ended. Its other messages say that the kernel is asked: null
 * for the mailbox, or a larger one for a single call.
 */
export type Report =
	| { readonly ended: "returned" }
	| {
			/** Whether the guest could not begin, or has thrown something: a trap, for example. */
			readonly ended: "not started" | "failed";
			/** The name of the error. */
			readonly name: string;
			/** Its message. */
			readonly message: string;
	  };
