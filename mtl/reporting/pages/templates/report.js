"use strict";
for (const section of document.querySelectorAll("[data-examples]")) {
  const controls = section.querySelector("form");
  const items = [...section.querySelectorAll("[data-kinds]")];
  const count = section.querySelector("output");
  const more = section.querySelector("[data-more]");
  const page = 10;
  let most = page;
  const apply = () => {
    const wanted = new FormData(controls);
    const kind = wanted.get("kind") || "", run = wanted.get("run") || "";
    const text = (wanted.get("text") || "").toLowerCase(), right = wanted.get("right") !== null;
    let found = 0;
    for (const item of items) {
      const kinds = JSON.parse(item.dataset.kinds);
      const visible = (kind ? kinds.includes(kind) : right || kinds.length > 0)
        && (!run || item.dataset.run === run)
        && (!text || item.textContent.toLowerCase().includes(text));
      found += visible ? 1 : 0;
      item.hidden = !visible || found > most;
    }
    more.hidden = found <= most;
    count.textContent = `${Math.min(found, most)} of ${found} shown`;
  };
  const again = () => { most = page; apply(); };
  more.addEventListener("click", () => { most += page; apply(); });
  addEventListener("beforeprint", () => { most = Infinity; apply(); });
  controls.hidden = false;
  controls.addEventListener("input", again);
  controls.addEventListener("submit", event => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(again));
  apply();
}
