<?php
// PHP's own server: the form again after a wrong password.
session_start();
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (in_array($_POST['username'] ?? null, ['root', 'ada', 'renée'], true) && ($_POST['password'] ?? '') === 'right') {
        $_SESSION['user'] = $_POST['username'];
        header('Location: /me.php', true, 302);
        exit;
    }
}
echo '<form method="post"><input name="username"><input name="password" type="password"></form>';
