"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const slider = element("slider"), button = element("play"), overlay = element("overlay");
  const rows = Array.from(document.querySelectorAll("#quality tbody tr"));
  const images = {};
  let frame = Number(slider.value), playing = false, timer = 0;

  for (const name of Object.keys(data.layers)) {
    images[name] = new Image();
    images[name].onload = draw;
    images[name].src = data.layers[name].data;
  }

  function layer(context, name) {
    const image = images[name], at = data.layers[name];
    if (!image.complete || !image.naturalWidth) return;
    const x = (frame % at.columns) * at.width, y = Math.floor(frame / at.columns) * at.height;
    context.drawImage(image, x, y, at.width, at.height, 0, 0, context.canvas.width, context.canvas.height);
  }

  function lines(context, all, color, width) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    for (const line of all) {
      for (let i = 0; i < line.length; i += 2) {
        const x = line[i] * context.canvas.width / data.unit, y = line[i + 1] * context.canvas.height / data.unit;
        if (i === 0) context.moveTo(x, y); else context.lineTo(x, y);
      }
    }
    context.stroke();
  }

  function marks(context) {
    const width = context.canvas.width, height = context.canvas.height, size = Math.round(width / 26);
    context.font = "bold " + size + "px sans-serif";
    context.fillStyle = "#fff";
    context.strokeStyle = "#000";
    context.lineWidth = 3;
    context.textBaseline = "middle";
    const put = (text, x, y, align) => {
      context.textAlign = align;
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    };
    if (data.letters) {
      put(data.letters[0], 5, height / 2, "left");
      put(data.letters[1], width - 5, height / 2, "right");
      put(data.letters[2], width / 2, size * 0.8, "center");
      put(data.letters[3], width / 2, height - size * 0.7, "center");
    }
    if (data.bar) {
      const long = data.bar.fraction * width, y = height - size * 1.1;
      context.strokeRect(width - long - 10, y, long, 4);
      context.fillRect(width - long - 10, y, long, 4);
      put(data.bar.text, width - 10 - long / 2, y - size * 0.8, "center");
    }
  }

  function outlines(context, at) {
    data.outlines.slice().reverse().forEach((label) => lines(context, label.lines[at], label.color, 2));
  }

  function draw() {
    const left = element("frames").getContext("2d"), right = element("compensated").getContext("2d");
    layer(left, "frames");
    layer(right, "compensated");
    if (overlay.value) layer(right, overlay.value);
    if (element("show-grid").checked) lines(left, data.grid[frame], "rgba(230,159,0,0.6)", 1);
    const labels = element("show-labels");
    if (labels && labels.checked) {
      outlines(left, frame);
      outlines(right, data.reference);
    }
    marks(left);
    marks(right);
  }

  function show(number) {
    frame = number;
    slider.value = String(number);
    element("where").textContent = data.titles[number];
    rows.forEach((row, n) => row.classList.toggle("current", n === number));
    data.axes.forEach((axis, n) => {
      const cursor = element("cursor-" + n);
      cursor.setAttribute("x1", axis.x[number]);
      cursor.setAttribute("x2", axis.x[number]);
    });
    draw();
  }

  const svg = document.querySelector("#curves svg");
  data.axes.forEach((axis, n) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    line.id = "cursor-" + n;
    line.setAttribute("y1", axis.top);
    line.setAttribute("y2", axis.bottom);
    line.setAttribute("stroke", "#222");
    line.setAttribute("stroke-width", "0.9");
    svg.appendChild(line);
  });
  svg.addEventListener("click", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = frame, nearest = Infinity;
    for (const axis of data.axes) {
      axis.x.forEach((x, n) => {
        if (Math.abs(x - at.x) < nearest) { nearest = Math.abs(x - at.x); best = n; }
      });
    }
    stop();
    show(best);
  });

  function later() {
    timer = setTimeout(() => {
      show((frame + 1) % data.titles.length);
      later();
    }, data.durations[frame] / Number(element("speed").value));
  }

  function play() { playing = true; button.textContent = "Pause"; later(); }
  function stop() { playing = false; button.textContent = "Play"; clearTimeout(timer); }

  button.addEventListener("click", () => (playing ? stop() : play()));
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  rows.forEach((row, n) => row.addEventListener("click", () => { stop(); show(n); }));
  element("show-grid").addEventListener("change", draw);
  if (element("show-labels")) element("show-labels").addEventListener("change", draw);
  overlay.addEventListener("change", () => {
    const map = data.overlays[overlay.value];
    element("scale").hidden = !map;
    if (map) {
      element("low").textContent = map.low;
      element("high").textContent = map.high;
      element("bar").style.background = "linear-gradient(to right," + map.colors.join(",") + ")";
    }
    draw();
  });
  document.addEventListener("keydown", (event) => {
    if (/^(SELECT|BUTTON|INPUT)$/.test(event.target.tagName)) return;
    const count = data.titles.length;
    if (event.key === " ") { event.preventDefault(); if (playing) stop(); else play(); }
    if (event.key === "ArrowRight") { stop(); show((frame + 1) % count); }
    if (event.key === "ArrowLeft") { stop(); show((frame + count - 1) % count); }
  });
  show(frame);
})();
