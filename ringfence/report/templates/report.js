"use strict";
(() => {
  const drawn = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const PAPER = 0.72; // of a figure's height on the screen, so that one fits a sheet
  const LOW = 400; // pixels; lower figures keep their height
  const NARROW = 760; // pixels, below which letters shrink
  const SMALL = 10;
  const SHEET = "690px"; // the width of A4 between its margins

  /* A "$name" in a figure is the page's CSS variable of that name, now. */
  const coloured = (value, style) => {
    if (typeof value === "string" && /^\$[a-z]+$/.test(value))
      return style.getPropertyValue("--" + value.slice(1)).trim();
    if (Array.isArray(value)) return value.map((one) => coloured(one, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
    }
    return value;
  };

  const draw = () => {
    const style = getComputedStyle(root);
    for (const place of document.querySelectorAll(".plot")) {
      const figure = drawn[place.id.slice("plot-".length)];
      if (!figure) {
        place.hidden = true;
        place.nextElementSibling.hidden = false;
        continue;
      }
      const { data, layout } = coloured(figure, style);
      layout.width = place.clientWidth;
      if (layout.width < NARROW) layout.font.size = SMALL;
      if ("print" in root.dataset && layout.height > LOW) layout.height *= PAPER;
      Plotly.react(place, data, layout, { displayModeBar: false, displaylogo: false, scrollZoom: false });
    }
  };

  const later = (work) => {
    let timer;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(work, 120);
    };
  };

  /* On paper everything is open, light, and as wide as the sheet. */
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = !one.closest(".history"); // the positions' histories stay on the screen
    root.dataset.print = "";
    document.body.style.width = SHEET;
    draw();
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
    delete root.dataset.print;
    document.body.style.width = "";
    draw();
  });

  for (const [name, open] of [["open", true], ["close", false]]) {
    for (const button of document.querySelectorAll(`[data-${name}]`)) {
      button.addEventListener("click", () => {
        for (const one of document.querySelectorAll(button.dataset[name])) one.open = open;
      });
    }
  }
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", reveal);
  addEventListener("resize", later(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  reveal();
  draw();
  root.dataset.drawn = "";
})();
