/**
 * Images that are built upon or run beside a job, by digest: a tag can be moved to other content. Each
 * is the index of all architectures. Amazon's public registry carries Docker's official images under the
 * same digests. Renovate changes tag and digest together (`renovate.json`).
 */
export const PINNED = {
  /** The base of a rebuilt image; the Dockerfile's own has the same digest. */
  base: "public.ecr.aws/docker/library/ubuntu:24.04@sha256:69cecf4bbf72d2d44a9eef1b71fb98c7fb973d78af11399deccef19beb008ad9",
  /** The Docker daemon beside a job on EC2. */
  docker:
    "public.ecr.aws/docker/library/docker:28-dind@sha256:2a232a42256f70d78e3cc5d2b5d6b3276710a0de0596c145f627ecfae90282ac",
} as const;

/** A pinned image as ECS takes it: by digest alone, or by tag, not both. */
export function byDigest(image: string): string {
  return image.replace(/:[^:@/]+(?=@)/, "");
}
