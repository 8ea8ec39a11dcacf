export const GET = ({ cookies }) => new Response(Buffer.from(cookies.get("who") ?? "", "hex").toString());
