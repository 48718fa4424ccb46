/** Tag of a task definition whose jobs are run again if Spot or the platform takes them away. */
export const RERUN_TAG = "GH:rerun-after-interruption";
