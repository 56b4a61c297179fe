// Puts each picture in the place of its image, so that hovering shows values and the page's theme reaches it.
// Runs once per output; needs nothing else and no network.
for (const image of document.querySelectorAll("img.rl-figure")) {
  const comma = image.src.indexOf(",");
  if (!image.src.startsWith("data:image/svg+xml;base64,")) continue;
  const bytes = Uint8Array.from(atob(image.src.slice(comma + 1)), (c) => c.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (picture.nodeName === "svg") image.replaceWith(document.importNode(picture, true));
}

// A slider goes over inputs: the pictures under it take the tokens and weights of the input it stands on.
function fill(picture, tokens, weights) {
  const [queries, keys] = [tokens.slice(1), tokens]; // BOS is a key and no query
  const labels = (axis) => [...picture.querySelectorAll(`[data-axis=${axis}]`)];
  labels("query").forEach((label, i) => (label.textContent = queries[i] ?? ""));
  labels("key").forEach((label, j) => (label.textContent = keys[j] ?? ""));
  const room = labels("key").length;
  picture.querySelectorAll("g:has(> .rl-box)").forEach((cell, k) => {
    const [i, j] = [Math.floor(k / room), k % room];
    const there = i < queries.length && j < keys.length;
    const weight = there ? weights[i * keys.length + j] : 0;
    const shown = +weight.toPrecision(3);
    const [title, ground] = [cell.querySelector("title"), cell.querySelector(".rl-box")];
    cell.setAttribute("visibility", there ? "visible" : "hidden");
    if (title) title.textContent = `query ${queries[i]} → key ${keys[j]}: ${shown}`;
    let heat = cell.querySelector(".rl-heat");
    if (!heat) {
      heat = cell.appendChild(ground.cloneNode());
      heat.setAttribute("class", "rl-heat");
      heat.setAttribute("fill", "#2458c5");
    }
    heat.setAttribute("fill-opacity", Math.min(1, weight));
  });
}
for (const side of document.querySelectorAll(".rl-side:not([data-live])")) {
  side.dataset.live = "";
  const frames = JSON.parse(side.querySelector("script").textContent);
  const pictures = [...side.querySelectorAll("svg")];
  const slider = side.querySelector("input");
  const show = () => {
    const { input, tokens, grids } = frames[slider.value];
    side.querySelector(".rl-input").textContent = input;
    side.querySelector(".rl-place").textContent = `${+slider.value + 1} of ${frames.length}`;
    slider.setAttribute("aria-valuetext", input);
    pictures.forEach((picture, g) => fill(picture, tokens, grids[g]));
    side.querySelectorAll(".readout").forEach((note) => (note.textContent = ""));
  };
  slider.addEventListener("input", show);
  slider.parentElement.hidden = false;
  show();
}

// Grids of one pair answer together: the cell under the pointer is outlined in each, and its values are written out.
for (const pair of document.querySelectorAll(".pair:not([data-live])")) {
  pair.dataset.live = "";
  const grids = [...pair.querySelectorAll("svg")].map((svg) => [...svg.querySelectorAll("g:has(> title)")]);
  const note = pair.querySelector(".readout");
  const outline = (i, colour) =>
    grids.forEach((cells) => cells[i]?.lastElementChild.setAttribute("stroke", colour));
  grids.forEach((cells) =>
    cells.forEach((cell, i) => {
      cell.addEventListener("pointerenter", () => {
        outline(i, "#e08a1e");
        const values = grids.map((g) => g[i]?.querySelector("title").textContent.split(": ").at(-1));
        const [place] = cell.querySelector("title").textContent.split(": ");
        note.textContent = `${place}: selector ${values[0]}, compiled ${values[1]}, trained ${values[2]}`;
      });
      cell.addEventListener("pointerleave", () => outline(i, "none"));
    }),
  );
}
