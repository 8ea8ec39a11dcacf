<?php
// A front controller: path info behind it is what was asked for.
$path = $_SERVER['PATH_INFO'] ?? parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
foreach (['login', 'me', 'who'] as $page) {
    if ($path === "/$page" || $path === "/$page.php") {
        require __DIR__ . "/$page.php";
        exit;
    }
}
http_response_code(404);
