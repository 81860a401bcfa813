"use strict";
// Focus on what is wrong, one press a form, a fresh page after Back, and two notices. Everything works without.

const WARNING_SECONDS = 120;
const notice = (name) => document.getElementById(`notice-${name}`);

document.getElementById("error-summary")?.focus();

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button[type=submit]")) {
      button.setAttribute("aria-disabled", "true"); // not disabled: it keeps the focus
    }
    const sending = notice("sending");
    if (sending) {
      sending.textContent = sending.dataset.text;
    }
  });
}

window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    window.location.reload(); // Back shows the page as it is now, and only to whom is signed in
  }
});

const show = (name) => {
  const shown = notice(name);
  if (shown) {
    shown.hidden = false;
  }
};

const idle = Number(document.body.dataset.idleSeconds);
if (idle) {
  const opened = Date.now();
  const timer = setInterval(() => {
    // The clock and not the count of seconds: a computer that slept has not counted.
    if (Date.now() - opened >= (idle - WARNING_SECONDS) * 1000) {
      clearInterval(timer);
      show("session");
    }
  }, 1000);
}

const changes = document.body.dataset.changes;
if (changes) {
  // Says that something has changed, never what, and fetches nothing: a look is for a person to take.
  const stream = new EventSource(changes);
  stream.addEventListener("changed", () => {
    stream.close();
    show("changed");
  });
  window.addEventListener("pagehide", () => stream.close());
}
