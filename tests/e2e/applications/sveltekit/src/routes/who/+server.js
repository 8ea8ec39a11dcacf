export const GET = ({ request }) => new Response(request.headers.get("x-sso-user") ?? "");
