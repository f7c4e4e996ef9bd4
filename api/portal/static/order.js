// The order form shows, and sends, only the fields that the chosen output and effect have.

const form = document.getElementById("order");

function chosen(name) {
  return form.querySelector(`input[name="${name}"]:checked`)?.value;
}

function update() {
  const output = chosen("output");
  const effect = chosen("effect");
  for (const part of form.querySelectorAll("[data-output], [data-effects]")) {
    const fits =
      (!part.dataset.output || part.dataset.output === output) &&
      (!part.dataset.effects || part.dataset.effects.split(" ").includes(effect));
    part.hidden = !fits;
    for (const control of part.querySelectorAll("input, select")) control.disabled = !fits;
  }
  for (const section of form.querySelectorAll(".section")) {
    section.hidden = !section.querySelector(".field:not([hidden])");
  }
}

form.addEventListener("change", update, true);
update();
