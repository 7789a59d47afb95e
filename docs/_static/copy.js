// A button by each piece of code that puts it on the clipboard, without prompts and without what they printed.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const kinds = ["python", "console", "toml", "yaml", "json"].map((kind) => `.highlight-${kind}`).join(", ");
  for (const box of document.querySelectorAll(kinds)) {
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
});
