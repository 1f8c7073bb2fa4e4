// @kqpoll/kqueue/wait: sys/wait.h, wait statuses, and what they mean.
export {
	WCOREDUMP,
	WEXITSTATUS,
	WIFCONTINUED,
	WIFEXITED,
	WIFSIGNALED,
	WIFSTOPPED,
	WSTOPSIG,
	WTERMSIG,
} from "./abi/wait.ts";
export { type WaitResult, waitStatusNow } from "./syscall/waitpid.ts";
