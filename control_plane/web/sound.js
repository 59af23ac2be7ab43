// Plays a WAV that is fetched as it is heard: a short piece first, so that it begins soon.
// The audio element sends no Authorization, so the pieces go to the Web Audio API.

const RATE_HZ = 8000;
const HEADER_BYTES = 44;
const SAMPLE_BYTES = 4; // two channels of 16 bits
const FIRST_S = 2;
const PIECE_S = 15;
const AHEAD_S = 8; // so much is fetched before it is heard
const DRAGGED_MS = 200; // who drags the bar passes much that is not to be heard, and written down as heard

export class Sound {
  #context = null;
  #gains = [];
  #splitter = null;
  #sources = new Set();
  #turn = 0; // what was begun before the last play, pause or seek is void
  #origin = 0; // the context's time at which second 0 would have been
  #atS = 0;
  #comeS = 0; // until where there is something to hear: while nothing comes, nobody gets further
  #muted = [false, false];

  /** `fetchBytes(start, end)` returns an ArrayBuffer; `onChange` is told of every start and stop. */
  constructor(lengthS, fetchBytes, onChange) {
    this.lengthS = lengthS;
    this.fetchBytes = fetchBytes;
    this.onChange = onChange;
    this.isPlaying = false;
  }

  /** Return the second that is heard now. */
  get positionS() {
    if (!this.isPlaying) return this.#atS;
    return Math.min(this.#comeS, Math.max(this.#atS, this.#context.currentTime - this.#origin));
  }

  /** Play from where it stands. Raise what fetching raises. */
  async play(afterMs = 0) {
    this.#open();
    await this.#context.resume();
    if (this.#atS >= this.lengthS) this.#atS = 0;
    const turn = ++this.#turn;
    let atS = this.#atS;
    this.#comeS = atS;
    this.isPlaying = true;
    this.onChange();
    try {
      if (afterMs) await slept(afterMs);
      if (turn !== this.#turn) return;
      for (let lengthS = FIRST_S; atS < this.lengthS; lengthS = PIECE_S) {
        const untilS = Math.min(this.lengthS, atS + lengthS);
        const piece = await this.fetchBytes(byteAt(atS), byteAt(untilS));
        if (turn !== this.#turn) return;
        if (atS === this.#atS) this.#origin = this.#context.currentTime - atS; // it begins now
        this.#schedule(piece, atS);
        atS = this.#comeS = untilS;
        await this.#until(atS - AHEAD_S, turn);
        if (turn !== this.#turn) return;
      }
      await this.#until(this.lengthS, turn);
    } catch (error) {
      if (turn === this.#turn) this.#stop(this.positionS);
      throw error;
    }
    if (turn === this.#turn) this.#stop(this.lengthS);
  }

  pause() { this.#stop(this.positionS); }

  /** Go elsewhere, and go on playing if it was. */
  async seek(seconds) {
    const wasPlaying = this.isPlaying;
    this.#stop(Math.max(0, Math.min(this.lengthS, seconds)));
    if (wasPlaying) await this.play(DRAGGED_MS);
  }

  /** Let a side be heard or not: 0 is the caller, 1 the agent. */
  mute(side, isMuted) {
    this.#muted[side] = isMuted;
    if (this.#gains.length) this.#gains[side].gain.value = isMuted ? 0 : 1;
  }

  async close() {
    this.#stop(0);
    await this.#context?.close();
    this.#context = null;
  }

  #open() {
    if (this.#context) return;
    this.#context = new AudioContext();
    this.#splitter = this.#context.createChannelSplitter(2);
    const merger = this.#context.createChannelMerger(2);
    this.#gains = this.#muted.map((isMuted, side) => {
      const gain = this.#context.createGain();
      gain.gain.value = isMuted ? 0 : 1;
      this.#splitter.connect(gain, side);
      gain.connect(merger, 0, side);
      return gain;
    });
    merger.connect(this.#context.destination);
  }

  #schedule(piece, atS) {
    const pcm = new DataView(piece);
    const samples = Math.floor(piece.byteLength / SAMPLE_BYTES);
    if (!samples) return;
    const buffer = this.#context.createBuffer(2, samples, RATE_HZ);
    for (const side of [0, 1]) {
      const channel = buffer.getChannelData(side);
      for (let index = 0; index < samples; index += 1) {
        channel[index] = pcm.getInt16(index * SAMPLE_BYTES + side * 2, true) / 32768;
      }
    }
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#splitter);
    const late = this.#context.currentTime - (this.#origin + atS);
    if (late > 0) this.#origin += late; // the network was slower than the sound
    source.start(this.#origin + atS);
    this.#sources.add(source);
    source.addEventListener("ended", () => this.#sources.delete(source));
  }

  async #until(seconds, turn) {
    while (turn === this.#turn && this.#context.currentTime - this.#origin < seconds) {
      await slept(50);
    }
  }

  #stop(atS) {
    this.#turn += 1;
    this.#atS = atS;
    this.isPlaying = false;
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
    this.onChange();
  }
}

function slept(ms) { return new Promise((resolve) => { setTimeout(resolve, ms); }); }

function byteAt(seconds) { return HEADER_BYTES + Math.round(seconds * RATE_HZ) * SAMPLE_BYTES; }
