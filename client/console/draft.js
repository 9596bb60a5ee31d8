// Keeps a form's draft, so that it survives another view and a reload.

const DRAFT = "pushcast-draft";

export const saveDraft = (values) => sessionStorage.setItem(DRAFT, JSON.stringify(values));
export const forgetDraft = () => sessionStorage.removeItem(DRAFT);

export function restoreDraft(form) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");
  for (const [name, value] of Object.entries(draft)) {
    const control = form.elements[name];
    if (!control) continue;
    if (control.type === "checkbox") control.checked = value;
    else control.value = value;
  }
}
