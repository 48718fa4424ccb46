import { Duration } from "aws-cdk-lib";
import { HandlerName } from "../names";

/** What each function is and how much it gets. */
export const HANDLER_SIZES: Readonly<
  Record<HandlerName, { description: string; timeout: Duration; memorySize: number }>
> = {
  verify: {
    description: "Checks a webhook's signature and starts the job's execution",
    // GitHub closes the connection after 10 seconds.
    timeout: Duration.seconds(9),
    memorySize: 256,
  },
  match: {
    description: "Finds the task definition whose labels serve a job",
    timeout: Duration.seconds(60),
    memorySize: 256,
  },
  launch: {
    description: "Builds the request that starts a runner's task",
    timeout: Duration.seconds(10),
    memorySize: 128,
  },
  token: {
    description: "Registers a runner at GitHub and leaves its configuration in Parameter Store",
    // Parameter Store's 40 writes a second are the first thing to run out in a burst.
    timeout: Duration.seconds(60),
    memorySize: 256,
  },
  cleanup: {
    description: "Removes what a runner leaves behind and checks that its job left the queue",
    timeout: Duration.seconds(60),
    memorySize: 256,
  },
  sweep: {
    description: "Finds and repairs what no event told us about",
    // Less than its schedule of five minutes, so that two never run at once.
    timeout: Duration.seconds(240),
    memorySize: 256,
  },
};
