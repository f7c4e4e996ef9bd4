// What pages do beyond HTML and htmx: copy buttons, times in the browser's time zone, moving pictures, confirmations.

const still = matchMedia("(prefers-reduced-motion: reduce)");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = label), 2000);
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.form?.dataset.submit === "change") event.target.form.requestSubmit();
});

function localise(part) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of part.querySelectorAll("time[data-local]")) {
    time.textContent = format.format(new Date(time.dateTime));
    time.removeAttribute("data-local");
  }
}

function play(card, on) {
  const video = card.querySelector("video[data-thumb]");
  if (!video || still.matches) return;
  if (on) {
    if (!video.src) video.src = video.dataset.thumb;
    video.play().then(() => video.classList.add("playing"), () => {});
  } else {
    video.pause();
    video.classList.remove("playing");
  }
}

for (const [name, on] of [["mouseover", true], ["focusin", true], ["mouseout", false], ["focusout", false]]) {
  document.addEventListener(name, (event) => {
    const card = event.target.closest?.(".card");
    if (card && !card.contains(event.relatedTarget)) play(card, on);
  });
}

document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
document.addEventListener("DOMContentLoaded", () => {
  localise(document);
  // A phone has room for the first of many tabs only.
  const tab = document.querySelector(".tabs [aria-current]");
  const hidden = tab ? tab.getBoundingClientRect().right - tab.parentElement.getBoundingClientRect().right : 0;
  if (hidden > 0) tab.parentElement.scrollLeft = hidden + 16;
});
