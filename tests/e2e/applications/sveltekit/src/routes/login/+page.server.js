import { fail, redirect } from "@sveltejs/kit";

const users = ["root", "ada", "renée"];

// A form action: a page after a wrong password, a redirect after a right one. With `use:enhance` both come as JSON with
// the status 200.
export const actions = {
  default: async ({ request, cookies }) => {
    const form = await request.formData();
    const name = form.get("username");
    if (!users.includes(name) || form.get("password") !== "right") return fail(400, { wrong: true });
    cookies.set("who", Buffer.from(name).toString("hex"), { path: "/", secure: false });
    redirect(303, "/me");
  },
};
