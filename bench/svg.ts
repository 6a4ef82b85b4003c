/** A line of a chart. Points whose figure is not finite are left out. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** A chart of lines. */
export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

/** An axis. A linear one begins at 0. A logarithmic one begins at the power of ten below its smallest value. */
export interface Axis {
  readonly label: string;
  readonly isLogarithmic?: boolean;
}

const WIDTH = 720;
const HEIGHT = 400;
const PLOT = { left: 70, top: 40, right: 540, bottom: 340 };
/** Colours that people with any kind of colour vision can tell apart (Okabe and Ito). */
const COLOURS = ["#0072b2", "#000000", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/** Draws a chart as an SVG document with a white background, which needs no style sheet. */
export function drawChart({ title, x, y, lines }: Chart): string {
  const known = lines.map(({ name, points }) => ({
    name,
    points: points.filter((point) => point.every(Number.isFinite)),
  }));
  const across = scaleOf(
    x,
    known.flatMap(({ points }) => points.map(([value]) => value)),
    PLOT.left,
    PLOT.right,
  );
  const up = scaleOf(
    y,
    known.flatMap(({ points }) => points.map(([, value]) => value)),
    PLOT.bottom,
    PLOT.top,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${toXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(PLOT.left, 22, title, 'font-size="15" font-weight="bold"'),
    ...across.ticks.flatMap((value) => {
      const at = round(across.place(value));
      return [gridLine(at, PLOT.top, at, PLOT.bottom), text(at, PLOT.bottom + 18, show(value), MIDDLE)];
    }),
    ...up.ticks.flatMap((value) => {
      const at = round(up.place(value));
      return [
        gridLine(PLOT.left, at, PLOT.right, at),
        text(PLOT.left - 8, at + 4, show(value), 'text-anchor="end"'),
      ];
    }),
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 42, x.label, MIDDLE),
    text(
      18,
      (PLOT.top + PLOT.bottom) / 2,
      y.label,
      `${MIDDLE} transform="rotate(-90 18 ${(PLOT.top + PLOT.bottom) / 2})"`,
    ),
    ...known.flatMap((line, index) => drawLine(line, index, across.place, up.place)),
    "</svg>\n",
  ].join("\n");
}

const MIDDLE = 'text-anchor="middle"';
/** A line with more points is smooth enough without marks. */
const MOST_MARKS = 20;

function drawLine(
  { name, points }: Line,
  index: number,
  across: (value: number) => number,
  up: (value: number) => number,
): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? "#000000";
  const places = points.map(([x, y]) => [round(across(x)), round(up(y))] as const);
  const path = places.map(([x, y]) => `${x},${y}`).join(" ");
  const marks = places.length > MOST_MARKS ? [] : places;
  const legendY = PLOT.top + 10 + index * 20;
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...marks.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`),
    `<line x1="${PLOT.right + 14}" y1="${legendY}" x2="${PLOT.right + 38}" y2="${legendY}" stroke="${colour}" stroke-width="3"/>`,
    text(PLOT.right + 44, legendY + 4, name),
  ];
}

function scaleOf({ isLogarithmic = false }: Axis, values: readonly number[], from: number, to: number) {
  const largest = Math.max(...values, isLogarithmic ? 10 : 1);
  if (isLogarithmic) {
    const smallest = Math.min(...values.filter((value) => value > 0), largest);
    const first = Math.floor(Math.log10(smallest));
    const last = Math.max(first + 1, Math.ceil(Math.log10(largest)));
    return {
      ticks: Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index)),
      place: (value: number) =>
        from + ((to - from) * (Math.log10(Math.max(value, 10 ** first)) - first)) / (last - first),
    };
  }
  const step = stepOf(largest);
  const end = Math.ceil(largest / step) * step;
  return {
    ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step),
    place: (value: number) => from + ((to - from) * value) / end,
  };
}

/** Returns a step of 1, 2 or 5 times a power of ten that divides the axis into at most seven parts. */
function stepOf(largest: number): number {
  const power = 10 ** Math.floor(Math.log10(largest / 7));
  return ([1, 2, 5, 10].find((factor) => factor * power * 7 >= largest) ?? 10) * power;
}

function gridLine(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#dddddd"/>`;
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x}" y="${y}"${attributes === "" ? "" : ` ${attributes}`}>${toXml(content)}</text>`;
}

function toXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function show(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en-US");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
