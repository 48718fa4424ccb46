/** The processor that a runner's jobs see, as GitHub's labels spell it. */
export type RunnerArchitecture = "x64" | "arm64";
