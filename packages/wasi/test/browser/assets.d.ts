// What a page gets of the files that it imports.

declare module "*.wasm" {
	const bytes: Uint8Array<ArrayBuffer>;
	export = bytes;
}

declare module "*.txt" {
	const text: string;
	export = text;
}
