/**
 * Cuts a zstd stream into its frames (RFC 8878 §3.1): reads frame and block headers only, drops skippable frames.
 */
import { AppError } from "../errors.ts";

export interface FramePart {
  readonly bytes: Uint8Array;
  /** The frame ends with these bytes. */
  readonly last: boolean;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/** Which field comes next; bodies between fields are passed through, or skipped, as counted bytes. */
type State = "magic" | "skip-size" | "descriptor" | "block";

export class ZstdFrames {
  #state: State = "magic";
  #need = 4;
  #pending: Buffer = Buffer.alloc(0);
  #pass = 0;
  #skip = 0;
  #hasChecksum = false;
  #lastBlock = false;

  /** True between frames: the stream may end here. */
  get complete(): boolean {
    return this.#state === "magic" && this.#pending.length === 0 && this.#pass === 0 && this.#skip === 0;
  }

  *split(chunk: Uint8Array): Generator<FramePart> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      if (this.#pass > 0) {
        const step = Math.min(this.#pass, chunk.length - at);
        this.#pass -= step;
        yield { bytes: chunk.subarray(at, at + step), last: this.#pass === 0 && this.#frameEnds() };
        at += step;
        continue;
      }
      const step = Math.min(this.#need - this.#pending.length, chunk.length - at);
      this.#pending = Buffer.concat([this.#pending, chunk.subarray(at, at + step)]);
      at += step;
      if (this.#pending.length < this.#need) return;
      const field = this.#pending;
      this.#pending = Buffer.alloc(0);
      yield* this.#decide(field);
    }
  }

  *#decide(field: Buffer): Generator<FramePart> {
    if (this.#state === "magic") {
      const magic = field.readUInt32LE(0);
      if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) return this.#expect("skip-size", 4);
      if (magic !== MAGIC)
        throw new AppError("layer-invalid", "Cannot unpack a layer: bytes after a zstd frame are no zstd frame");
      this.#expect("descriptor", 1);
    } else if (this.#state === "skip-size") {
      this.#skip = field.readUInt32LE(0);
      return this.#expect("magic", 4);
    } else if (this.#state === "descriptor") {
      const descriptor = field.readUInt8(0);
      const single = (descriptor & 0x20) !== 0;
      const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
      const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
      this.#hasChecksum = (descriptor & 4) !== 0;
      this.#lastBlock = false;
      this.#pass = (single ? 0 : 1) + dictionaryBytes + sizeBytes;
      this.#expect("block", 3);
    } else if (this.#state === "block") {
      const header = field.readUIntLE(0, 3);
      const type = (header >> 1) & 3;
      this.#lastBlock = (header & 1) === 1;
      this.#pass = (type === 1 ? 1 : header >> 3) + (this.#lastBlock && this.#hasChecksum ? 4 : 0);
      if (this.#lastBlock && this.#pass === 0) {
        yield { bytes: field, last: true };
        return this.#expect("magic", 4);
      }
    }
    yield { bytes: field, last: false };
  }

  /** After the last block's body the next field is a frame's magic again. */
  #frameEnds(): boolean {
    if (!this.#lastBlock) return false;
    this.#lastBlock = false;
    this.#expect("magic", 4);
    return true;
  }

  #expect(state: State, need: number): void {
    this.#state = state;
    this.#need = need;
  }
}
