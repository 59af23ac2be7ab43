// Draws both parties one above the other, with what is marked over them and where one listens.

const SIDES = ["caller", "agent"];

/** `peaks`: what the API says; `marks` as marks.js has them; `atS`: what is heard now. */
export function draw(canvas, peaks, lengthS, marks, atS) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const look = getComputedStyle(canvas);
  const x = (seconds) => (lengthS ? (seconds / lengthS) * width : 0);
  for (const mark of marks) {
    pen.fillStyle = look.getPropertyValue(`--${mark.kind}`);
    pen.fillRect(x(mark.startS), 0, Math.max(2, x(mark.endS) - x(mark.startS)), height);
  }
  SIDES.forEach((side, lane) => {
    const middle = (height * (2 * lane + 1)) / 4;
    pen.fillStyle = look.getPropertyValue(`--${side}`);
    for (let column = 0; column < width; column += 1) {
      const from = Math.floor((column / width) * lengthS / peaks.step_s);
      const until = Math.max(from + 1, Math.floor(((column + 1) / width) * lengthS / peaks.step_s));
      const peak = Math.max(0, ...peaks[side].slice(from, until)) / 255;
      const half = Math.max(0.5, (peak * height) / 4.4);
      pen.fillRect(column, middle - half, 1, 2 * half);
    }
  });
  pen.fillStyle = look.getPropertyValue("--here");
  pen.fillRect(x(atS) - 1, 0, 2, height);
}
