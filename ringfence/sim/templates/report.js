"use strict";
(() => {
  const drawn = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;

  /* A "$name" in a figure is the page's CSS variable of that name, now. */
  const coloured = (value, style) => {
    if (typeof value === "string" && /^\$[a-z]+$/.test(value)) return style.getPropertyValue("--" + value.slice(1)).trim();
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
    for (const one of closed) one.open = !one.closest(".what");
    root.dataset.print = "";
    document.body.style.width = "700px";
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
})();
