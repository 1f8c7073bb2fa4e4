// Values of arrays, generators and other iterables on demand.
import { errno, SystemError } from "@kqpoll/kqueue";
import { show } from "@kqpoll/kqueue/kernel";
import { type Demand, DemandObservable, type DemandObserver } from "./observable.ts";

/**
 * The values of an array, a generator or another iterable, also an asynchronous one such as a
 * ReadableStream, as an observable that can be asked: each value is taken from the iterator when it
 * is asked for. Like `from` of RxJS, except that the source waits. The iterator is closed when its
 * subscriber leaves early. Throws EFAULT for what is not iterable.
 */
export function from<T>(input: Iterable<T> | AsyncIterable<T>): DemandObservable<T> {
	if (!isIterable(input)) {
		const why = `the input ${show(input)} is not iterable`;
		throw new SystemError(errno.EFAULT, "from", why);
	}
	return new DemandObservable((observer) => {
		try {
			if (isAsync(input)) return new Later(input[Symbol.asyncIterator](), observer);
			return new AtOnce(input[Symbol.iterator](), observer);
		} catch (error) {
			observer.error(error);
			return { request: () => {}, close: () => {} };
		}
	});
}

/** Whether values can be taken from it one by one. */
export function isIterable(input: unknown): input is Iterable<unknown> | AsyncIterable<unknown> {
	if (input === null || input === undefined) return false;
	return isAsync(input) || typeof (input as Iterable<unknown>)[Symbol.iterator] === "function";
}

function isAsync<T>(input: object): input is AsyncIterable<T> {
	return typeof (input as AsyncIterable<T>)[Symbol.asyncIterator] === "function";
}

/** Takes values from an iterator, each inside of the request for it. */
class AtOnce<T> implements Demand {
	private readonly iterator: Iterator<T>;
	private readonly observer: DemandObserver<T>;
	private wanted = false;
	private taking = false;
	private over = false;

	constructor(iterator: Iterator<T>, observer: DemandObserver<T>) {
		this.iterator = iterator;
		this.observer = observer;
	}

	request(): void {
		this.wanted = true;
		// A request inside of `next` is answered after it has returned.
		if (this.taking) return;
		this.taking = true;
		try {
			while (this.wanted && !this.over) this.take();
		} finally {
			this.taking = false;
		}
	}

	close(): void {
		if (this.over) return;
		this.over = true;
		try {
			this.iterator.return?.();
		} catch {
			// Nobody listens any more.
		}
	}

	private take(): void {
		this.wanted = false;
		let result: IteratorResult<T>;
		let over = true;
		try {
			result = this.iterator.next();
			over = result.done === true;
		} catch (error) {
			if (this.over) return;
			this.over = true;
			this.observer.error(error);
			return;
		}
		// The iterator's own code may have closed the connection.
		if (this.over) return;
		this.over = over;
		if (over) this.observer.complete();
		else this.observer.next(result.value);
	}
}

/** Takes values from an asynchronous iterator, each when its promise is fulfilled. */
class Later<T> implements Demand {
	private readonly iterator: AsyncIterator<T>;
	private readonly observer: DemandObserver<T>;
	private over = false;

	constructor(iterator: AsyncIterator<T>, observer: DemandObserver<T>) {
		this.iterator = iterator;
		this.observer = observer;
	}

	request(): void {
		this.take().catch((error) => this.end(() => this.observer.error(error)));
	}

	close(): void {
		this.end(() => {
			const leave = async (): Promise<unknown> => this.iterator.return?.();
			// Nobody listens any more.
			leave().catch(() => {});
		});
	}

	private async take(): Promise<void> {
		const { done, value } = await this.iterator.next();
		if (done === true) this.end(() => this.observer.complete());
		else if (!this.over) this.observer.next(value);
	}

	private end(tell: () => void): void {
		if (this.over) return;
		this.over = true;
		tell();
	}
}
