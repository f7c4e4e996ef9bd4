const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: false, // its links are inside buttons, which a screen reader cannot follow
  validatorUrl: null, // the default sends the document's address to another host
});

// Swagger UI leaves some controls of the form without a name for screen readers.
function nameControls() {
  for (const control of document.querySelectorAll(".swagger-ui :is(input, textarea, select):not([aria-label], [id])")) {
    const row = control.closest("tr")?.querySelector(".parameter__name");
    const isExample = control.matches(".examples-select-element");
    control.setAttribute("aria-label", row?.firstChild.textContent || (isExample ? "Example" : "Request body"));
  }
}

new MutationObserver(nameControls).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
