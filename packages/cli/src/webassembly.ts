// The platform's WebAssembly, with the types that the command needs.

/** What a module imports or exports. */
interface Described {
	readonly name: string;
	readonly kind: string;
}

/** What a module imports. */
interface Import extends Described {
	readonly module: string;
}

interface Platform {
	compile(bytes: Uint8Array): Promise<object>;
	readonly Module: {
		imports(module: object): Import[];
		exports(module: object): Described[];
	};
	readonly Suspending?: unknown;
}

/** WebAssembly. */
export const WebAssembly: Platform = (globalThis as unknown as { WebAssembly: Platform })
	.WebAssembly;

/** Whether the platform can suspend programs (JSPI). */
export const canSuspend: boolean = typeof WebAssembly.Suspending === "function";
