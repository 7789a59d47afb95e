// What a page of ours adds to Furo's: a button that copies code, and what the keyboard and a screen reader miss.
"use strict";

// Puts code on the clipboard: of a console only what was typed, without its prompt and without the answer.
function copyButton(box) {
  const typed = box.querySelector("pre").textContent;
  const commands = typed.split("\n").filter((line) => line.startsWith("$ ")).map((line) => line.slice(2)).join("\n");
  const button = document.createElement("button");
  button.className = "copy";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.className.includes("highlight-console") ? commands : typed);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  box.append(button);
}

document.addEventListener("DOMContentLoaded", () => {
  const kinds = ["python", "console", "toml", "yaml", "json"].map((kind) => `.highlight-${kind}`).join(", ");
  document.querySelectorAll(kinds).forEach(copyButton);
  for (const heading of document.querySelectorAll("[role=heading]:not([aria-level])")) heading.setAttribute("aria-level", "2");
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  for (const box of document.querySelectorAll("pre, .table-wrapper, .equations")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // so that arrow keys can move it
  }
});
