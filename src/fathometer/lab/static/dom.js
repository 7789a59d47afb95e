// Small helpers: elements without markup in strings, numbers in words.
const SVG = "http://www.w3.org/2000/svg";

export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function s(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const $ = (selector, root = document) => root.querySelector(selector);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
export function power(exponent) {
  return exponent === 0 ? "1" : "10" + String(Math.round(exponent)).replace(/./g, (letter) => RAISED[letter]);
}

// What a logarithm to base 10 stands for, in words: 10⁻²⁴, 0.02, 350.
export function magnitude(logarithm) {
  if (logarithm === null || logarithm === undefined) return "none";
  if (Math.abs(logarithm) >= 4) return power(logarithm);
  return Number((10 ** logarithm).toPrecision(2)).toLocaleString("en");
}

export function count(number) {
  for (const [least, unit] of [[1e12, " trillion"], [1e9, " billion"], [1e6, " million"]]) {
    if (number >= least) return Number((number / least).toPrecision(3)) + unit;
  }
  return Math.round(number).toLocaleString("en");
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`);

export function rate(number) {
  return number >= 0.01 ? String(Number(number.toPrecision(2))) : number.toExponential(0).replace("e-", "e−");
}
