// @kqpoll/kqueue/wait: sys/wait.h, the meaning of a wait status.
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
export type { WaitResult } from "./syscall/waitpid.ts";
