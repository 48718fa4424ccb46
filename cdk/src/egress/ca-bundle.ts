import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { invalidProp } from "../invalid-prop";

/**
 * How much a container's environment leaves for it: a task definition has 64 KiB for everything, and a
 * stack's template 1 MB for all of its runners.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
 */
const MOST_BYTES = 16 * 1024;

/** How a certificate begins that is written as DER. */
const DER = "\x30\x82";

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/**
 * The certificates of a PEM file, and nothing else of it, checked: a wrong file shows itself at the
 * first job otherwise.
 *
 * @param prop the prop's name, for the error
 * @param file the file's path
 */
export function readBundle(prop: string, file: string): string {
  const refuse = (allowed: string) => invalidProp(prop, file, allowed);
  let text: string;
  try {
    text = readFileSync(file, "latin1");
  } catch (error) {
    throw refuse(`a PEM file with certificate authorities (${(error as Error).message})`);
  }
  if (text.startsWith(DER)) {
    const command = "openssl x509 -inform der -in FILE -out FILE.pem";
    throw refuse(`a PEM file; this one is DER: ${command} converts it`);
  }
  const blocks = [...text.matchAll(BLOCK)].map(([block, kind]) => ({ block, kind: kind! }));
  if (blocks.some(({ kind }) => kind.endsWith("PRIVATE KEY"))) {
    throw refuse(
      "a file of certificates alone: this one has a private key, which every job could read",
    );
  }
  // Whatever were left out would be missed only by the first job that needs it.
  if (text.split("-----BEGIN ").length - 1 !== blocks.length) {
    throw refuse("certificates that are whole; one begins and does not end");
  }
  const other = blocks.find(({ kind }) => kind !== "CERTIFICATE");
  if (other !== undefined) {
    throw refuse(
      `certificates between BEGIN CERTIFICATE and END CERTIFICATE; one is ${other.kind}`,
    );
  }
  const certificates = blocks;
  if (certificates.length === 0) {
    throw refuse(
      "a PEM file with certificates, each between BEGIN CERTIFICATE and END CERTIFICATE",
    );
  }
  certificates.forEach(({ block }, index) => {
    const place = `certificate ${index + 1} of ${certificates.length}`;
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(block);
    } catch {
      throw refuse(`certificates that can be read; ${place} cannot`);
    }
    const name = certificate.subject.replace(/\n/g, ", ");
    if (new Date(certificate.validTo).getTime() < Date.now()) {
      throw refuse(
        `certificates that are valid; ${place} (${name}) expired on ${certificate.validTo}`,
      );
    }
    if (!certificate.ca && certificate.subject !== certificate.issuer) {
      throw refuse(
        `certificates of authorities; ${place} (${name}) is a server's, give the one of its issuer`,
      );
    }
  });
  const bundle = certificates.map(({ block }) => `${block.replace(/\r/g, "")}\n`).join("");
  const bytes = Buffer.byteLength(bundle);
  if (bytes > MOST_BYTES) {
    throw refuse(
      `up to ${MOST_BYTES} bytes of certificates, because each task definition holds them: ` +
        `this file has ${bytes} in ${certificates.length}; leave out the usual authorities, which are trusted anyway`,
    );
  }
  return bundle;
}
